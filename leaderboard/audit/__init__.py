"""Who did what as a host or an administrator."""
