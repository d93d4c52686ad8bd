"""The roof: commands, one small file each; the only importer of hydra."""
