"""Tables, XML and JSON read by a mapping document, one file a layout; the same backwards; and documents proposed from a sample."""
