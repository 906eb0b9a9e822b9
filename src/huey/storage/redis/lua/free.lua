-- Frees locks and places of semaphores whose holder is gone, if it still holds them.

local function free_lock()
  local key, value = take_key(), take()
  return function()
    if get(key) == value then
      delete(key)
    end
  end
end

local function free_place()
  local places, member, entry = take_declared(), take(), take()
  return function()
    call('ZREM', places, member)
    call('ZREM', PLACES, entry)
  end
end

may_exceed_memory()
local freed = 0
while argument < #ARGV do
  local hold, holder, kind = take(), take(), take()
  local free = kind == 'lock' and free_lock() or free_place()
  if call('HGET', HOLDS, hold) == holder then
    call('HDEL', HOLDS, hold)
    free()
    freed = freed + 1
  end
end
return freed
