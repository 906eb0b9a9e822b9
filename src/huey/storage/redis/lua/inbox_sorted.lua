-- Taking messages from a sorted set. No command moves its members, so that there is no inbox: idle
-- consumers wait at a bell.

local function pop(count)
  local taken = {}
  local found = call('ZPOPMIN', QUEUE, count)
  for index = 1, #found, 2 do
    taken[#taken + 1] = struct.pack('>d', tonumber(found[index + 1])) .. found[index]
  end
  if call('ZCARD', QUEUE) > 0 then
    ring()
  elseif #taken > 0 then
    call('DEL', BELL)
  end
  return taken
end

local function empty_inbox()
  return 0
end
