"""The only floor that steps optimizers; lightning lives here."""
