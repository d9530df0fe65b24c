"""A stand-in for setuptools while tools/fetch downloads a source archive.

`pip download` insists on asking an archive's build backend for its metadata. The usual way fetches
and runs setuptools, setuptools-scm, wheel and cmake for that, unpinned. This backend answers from
the archive's own PKG-INFO instead: nothing more is fetched and none of the archive's code runs.
"""

import os
import re
import shutil


def get_requires_for_build_wheel(config_settings=None):
    return []


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    with open("PKG-INFO", encoding="utf-8") as f:
        text = f.read()
    name = re.search(r"^Name: (.+)$", text, re.M).group(1).strip().replace("-", "_")
    version = re.search(r"^Version: (.+)$", text, re.M).group(1).strip()
    folder = f"{name}-{version}.dist-info"
    os.makedirs(os.path.join(metadata_directory, folder))
    shutil.copy("PKG-INFO", os.path.join(metadata_directory, folder, "METADATA"))
    return folder
