"""How large a trial must be, or what it can find, for methods whose tests hold there: question, search and answer."""
