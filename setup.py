from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    ext_modules=cythonize(
        [
            Extension(
                "vswitch.fastpath._fast",
                ["vswitch/fastpath/_fast.pyx"],
                extra_compile_args=["-O3", "-Wall"],
            )
        ],
        compiler_directives=dict(
            language_level=3, boundscheck=False, wraparound=False, cdivision=True
        ),
        annotate=False,
    )
)
