"""Extensions: frameworks, small schedulers, helpers; nothing else imports them."""
