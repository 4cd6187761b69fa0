"""``python -m nestbench``."""

from nestbench.cli import main

if __name__ == "__main__":
    main()
