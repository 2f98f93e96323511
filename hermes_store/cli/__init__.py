"""The command line: ``hermes-store``. It needs the extra "cli" (typer and rich), and nothing else imports it."""
