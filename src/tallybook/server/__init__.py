"""Face over HTTP: intake, datafiles, results, pages."""
