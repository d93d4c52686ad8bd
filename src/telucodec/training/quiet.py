"""Lightning's hints that do not apply here, kept off the screen."""

import logging
import warnings


def quiet() -> None:
    """Silence what Lightning says about choices that this project makes on purpose; errors still show."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in (
        ".*does not have many workers.*",
        ".*`isinstance.treespec.*",
        ".*no `.*_dataloader`.*",
        ".*resuming from.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    warnings.filterwarnings("ignore", category=UserWarning, module="lightning.*")
    warnings.filterwarnings("ignore", category=FutureWarning, module="lightning.*")
