"""Results for people and programs: `tables` says what is shown, the others how."""
