"""What the user agent does beyond making, taking and ending a call: a file each, entered in the tables of `core`."""
