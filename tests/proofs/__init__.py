"""The proofs of `docs/reliability.md`: programs that try to lose data. The tests run them in a short form."""
