"""Files and folders of files, each format a module."""
