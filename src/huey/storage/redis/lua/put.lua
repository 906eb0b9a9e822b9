-- Stores a value, and tells who waits for it if it is a result.

local key, value, is_result = take_key(), take(), take()
if is_result == '1' then
  put_result(key, value)
  tell(key)
else
  put(key, value)
end
