"""The viisikko command: runs, feeds and watches the network."""
