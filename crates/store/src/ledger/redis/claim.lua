-- Claims a request, in one atomic step.
--
-- KEYS: 1 the ledger's state, 2 the claims of the request's span of dates, 3 the spans there are, and how much is held by
-- 4 all, 5 its workspace, 6 its credential. All share one hash tag.
-- ARGV: 1 the mark of the data, 2 the request's key, 3 its date, 4 and 5 how early and how late it may be, 6 the number of
-- its span, 7 the length of a span, most entries of 8 all, 9 a workspace, 10 a credential, 11 for how long an unused key
-- is kept. Times are in milliseconds.
-- Returns what became of it, and a time that belongs to that.
local state = redis.call('HMGET', KEYS[1], 'mark', 'fence', 'reach')
if state[1] ~= ARGV[1] then return {0, 0} end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local date, early, late = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if now < date - early then return {3, now} end
if now > date + late then return {4, now} end
local fence, reach = tonumber(state[2]), tonumber(state[3])
if date < fence then return {5, fence} end
if early > reach or late > reach then return {6, reach} end
if redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 1 then return {2, 0} end

-- Spans below the fence count no more.
local first = math.floor(fence / tonumber(ARGV[7]))
local function count(key)
  local all, sum = redis.call('HGETALL', key), 0
  for i = 1, #all, 2 do
    if all[i] ~= 'sum' then
      if tonumber(all[i]) < first then redis.call('HDEL', key, all[i]) else sum = sum + all[i + 1] end
    end
  end
  redis.call('HSET', key, 'sum', sum)
  return sum
end
local function is_full(key, most)
  local held = tonumber(redis.call('HGET', key, 'sum') or '0')
  return held >= most and count(key) >= most
end
if is_full(KEYS[4], tonumber(ARGV[8])) then return {7, 0} end
if is_full(KEYS[6], tonumber(ARGV[10])) then return {9, 0} end
if is_full(KEYS[5], tonumber(ARGV[9])) then return {8, 0} end

redis.call('SADD', KEYS[2], ARGV[2])
local function take(key)
  if redis.call('HINCRBY', key, ARGV[6], 1) > 1 then
    redis.call('HINCRBY', key, 'sum', 1)
    return false
  end
  count(key)
  redis.call('PEXPIRE', key, ARGV[11])
  return true
end
if take(KEYS[4]) then
  redis.call('SADD', KEYS[3], ARGV[6])
  redis.call('PEXPIRE', KEYS[2], ARGV[11])
end
take(KEYS[5])
take(KEYS[6])
return {1, 0}
