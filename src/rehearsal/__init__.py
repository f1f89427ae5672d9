"""Practice tracks: mixes of a separation from which singers learn their voice."""
