-- Removes values whose time to live is over, on servers that cannot do so themselves.

return purge()
