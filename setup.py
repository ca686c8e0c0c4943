"""Packaging; needs neither torch nor the package itself to be importable."""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = {}
exec((here / "torchreid_occ" / "version.py").read_text(encoding="utf-8"), version)

setup(
    name="torchreid-occ",
    version=version["__version__"],
    description="Occlusion-robust video person re-identification on torchreid",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE"],
    packages=find_packages(include=["torchreid_occ", "torchreid_occ.*"]),
    package_data={
        "torchreid_occ.ops": ["csrc/*.h", "csrc/*/*"],  # compiled in place by ops.build
        "torchreid_occ.report": ["templates/*"],
    },
    python_requires=">=3.10",
    install_requires=[
        # torchreid 0.2.5 declares no dependencies; h5py, scipy, gdown, tensorboard, matplotlib and
        # opencv-python are among what importing it needs.
        "torchreid>=0.2.5",
        "torch>=2.8",
        "torchvision>=0.23",
        "numpy>=2.0",
        "scipy>=1.11",
        "h5py>=3.10",
        "Jinja2>=3.1",
        "opencv-python>=4.10",
        "Pillow>=10",
        "PyYAML>=6",
        "scikit-image>=0.25",
        "yacs>=0.1.8",
        "gdown>=6.5",
        "matplotlib>=3.8",
        "tensorboard>=2.15",
        "tqdm>=4.66",
    ],
    extras_require={"dev": ["pytest>=8", "pytest-xdist>=3.8", "ruff>=0.12"]},
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
