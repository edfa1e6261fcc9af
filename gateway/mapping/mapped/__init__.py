"""Tables read by a mapping document: the header found by its words, then rows of readings or rows of time, then the control row."""
