"""Whatever comes in: files, messages, payments, and the relay that delivers to cases."""
