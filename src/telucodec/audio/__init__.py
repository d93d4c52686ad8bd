"""Signals on disk and in memory: files, resampling, level, bandwidth (numpy), spectra (torch)."""
