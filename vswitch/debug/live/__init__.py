"""Who listens to a running switch: captures that are streamed, the flight recorder, triggers."""
