"""`civic up`, `civic down` and `civic links` with the stand-ins of stub_service.py: CONFIG VERB OPTIONS…"""

import sys
from pathlib import Path

from hub_config import cli
from hub_config.starting import running

if __name__ == "__main__":
    config, verb, *options = sys.argv[1:]
    assert running.start.__kwdefaults__ is not None
    running.start.__kwdefaults__["config"] = Path(config)
    getattr(cli, verb)(options)
