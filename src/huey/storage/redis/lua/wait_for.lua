-- Tells which results are there, and leaves a waiter's list at those that are not.
-- Returns their positions, from 0.

local list, ends = take_declared(), take()
local present = {}
may_exceed_memory()
for index = 0, tonumber(take()) - 1 do
  local key = take_key()
  if has(key) then
    present[#present + 1] = index
  elseif ends ~= '' then
    local others = ''
    for other, until_then in string.gmatch(call('HGET', WAITS, key) or '', '([^\n]+) (%d+)\n') do
      if other ~= list then
        others = others .. other .. ' ' .. until_then .. '\n'
      end
    end
    call('HSET', WAITS, key, others .. list .. ' ' .. ends .. '\n')
  end
end
return present
