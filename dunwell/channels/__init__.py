"""Providers that reach people: SMS, e-mail, voice, letter, court and agency, behind one small protocol."""
