-- Deletes a dead letter. Returns whether it was there.

local key = take()
call('HDEL', LETTERS, key)
return call('ZREM', DEAD, key)
