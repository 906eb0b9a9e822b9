-- Frees places of semaphores that are over. Returns how many.

local now = micros() / 1000000
local freed = 0
while argument < #ARGV do
  local places, member, entry = take_declared(), take(), take()
  local ends = call('ZSCORE', PLACES, entry)
  if ends and tonumber(ends) <= now then
    call('ZREM', PLACES, entry)
    call('ZREM', places, member)
    freed = freed + 1
  end
end
return freed
