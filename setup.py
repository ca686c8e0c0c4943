"""Packaging; needs neither torch nor the package itself to be importable."""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = {}
exec((here / "torchreid_occ" / "version.py").read_text(encoding="utf-8"), version)

# What only some need, by extra; the tests need all.
EXTRAS = {
    "export": ["onnx>=1.20", "onnxscript>=0.7", "onnxruntime>=1.23"],
    "footage": ["trackers>=2.6", "supervision>=0.31"],
    "search": ["faiss-cpu>=1.12"],
    "qdrant": ["qdrant-client>=1.16"],
    "docs": [
        "furo>=2024.8.6",
        "myst-parser>=4",
        "sphinx>=8.1",
        "sphinx-copybutton>=0.5.2",
        "ziamath>=0.13",
    ],
}
DEV = [
    "docstring-parser>=0.16",
    "hypothesis>=6.130",
    "markdown-it-py>=3",
    "pytest>=8",
    "pytest-xdist>=3.8",
    "ruff>=0.12",
]

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
        "torchreid_occ.search": ["page.html"],
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
    extras_require={**EXTRAS, "dev": sum(EXTRAS.values(), DEV)},
    classifiers=[
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
