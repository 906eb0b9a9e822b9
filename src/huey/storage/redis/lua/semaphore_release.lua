-- Gives a place back. Returns whether it was still held.

local member, hold = take(), take()
call('HDEL', HOLDS, hold)
if holds(member, 300) then
  return free(member)
end
return 0
