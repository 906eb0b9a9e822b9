-- Counts a hit in the present window, unless it would exceed the limit.
-- Returns how many hits the window would hold with it, and the seconds until the window ends.

local counter, window_counter = take_counter(), take_counter()
local per, limit, amount = tonumber(take()), tonumber(take()), tonumber(take())
local now = micros() / 1000000
local window = math.floor(now / per)
local left = (window + 1) * per - now
local hits = amount
if tonumber(get_counter(window_counter) or -1) == window then
  hits = hits + tonumber(get_counter(counter) or 0)
end
if amount ~= 0 and hits <= limit then
  local ttl = string.format('%.0f', math.min(left, 1e9) * 1000 + 1000)
  set_counter(counter, hits, ttl)
  set_counter(window_counter, string.format('%.0f', window), ttl)
end
return {hits, string.format('%.17g', left)}
