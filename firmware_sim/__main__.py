"""`python -m firmware_sim` is `doorward sim`."""

from firmware_sim.cli import main

main()
