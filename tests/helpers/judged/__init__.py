"""Recurrent code to be judged: of our own, in the forms that people write it in, right and with faults."""
