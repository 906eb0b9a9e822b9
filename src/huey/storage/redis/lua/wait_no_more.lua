-- Removes a waiter's list from results, and the list itself.

local list = take_declared()
call('DEL', list)
for _ = 1, tonumber(take()) do
  local key = take_key()
  local others = ''
  for other, ends in string.gmatch(call('HGET', WAITS, key) or '', '([^\n]+) (%d+)\n') do
    if other ~= list then
      others = others .. other .. ' ' .. ends .. '\n'
    end
  end
  if others == '' then
    call('HDEL', WAITS, key)
  else
    call('HSET', WAITS, key, others)
  end
end
