"""An experiment as text: TOML files and plain tables read, checked and written."""
