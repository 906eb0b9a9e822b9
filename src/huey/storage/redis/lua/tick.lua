-- Accepts the message of a periodic task, unless this tick of it, or a later one, exists already.

local name, planned = take(), take()
local last = call('HGET', TICKS, name)
if last and tonumber(last) >= tonumber(planned) then
  return 0
end
call('HSET', TICKS, name, planned)
accept()
return 1
