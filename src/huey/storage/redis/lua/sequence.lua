-- Numbers that never come twice: they grow, also when the clock steps back, and start at its
-- microseconds, also when everything was deleted meanwhile.

local function reserve(count)
  local last = call('INCRBY', SEQUENCE, count)
  local now = micros()
  if last - count < now then
    last = now + count
    call('SET', SEQUENCE, string.format('%.0f', last))
  end
  return last - count + 1
end

local reserved_next, reserved_last = 1, 0

local function sequence()
  if reserved_next > reserved_last then
    reserved_next = reserve(16)
    reserved_last = reserved_next + 15
  end
  reserved_next = reserved_next + 1
  return reserved_next - 1
end
