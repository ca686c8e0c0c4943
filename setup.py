"""What pyproject.toml cannot say: the configurations are shipped inside the package."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["torchreid_occ", "torchreid_occ.*"]),
        "torchreid_occ.configs",
    ],
    package_dir={"torchreid_occ.configs": "configs"},
    py_modules=["torchreid_occ_command"],
    package_data={
        "torchreid_occ": ["py.typed"],
        "torchreid_occ.configs": ["**/*.yaml"],
        "torchreid_occ.footage": ["sheet.html"],
        "torchreid_occ.ops": ["csrc/*.h", "csrc/*/*"],  # compiled in place by ops.build
        "torchreid_occ.report": ["templates/*"],
        "torchreid_occ.identities": ["page.html"],
        "torchreid_occ.search": ["page.html", "server.html", "server.js"],
    },
)
