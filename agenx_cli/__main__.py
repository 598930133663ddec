"""``python -m agenx_cli``"""

from agenx_cli.cli.app import main

if __name__ == "__main__":
    main()
