"""`python -m utils …`"""

from utils.cli import main

if __name__ == "__main__":
    main()
