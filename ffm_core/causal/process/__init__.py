"""The fresh worker plug-ins are asked in: how it starts, what it holds, what it may touch."""
