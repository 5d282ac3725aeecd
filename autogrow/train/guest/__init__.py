"""Growth inside somebody else's LightningModule and fit."""
