"""`edgeguard …`: one file a command."""
