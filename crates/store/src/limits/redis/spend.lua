-- Spends one request of each limit, in one atomic step and by the server's clock: of all limits that are enforced or of
-- none, and the same for those that are observed. Nothing is spent of anything where one that is enforced has no room.
--
-- KEYS: what is owed of each limit, as "<units> <milliseconds since 1970>"; no key, nothing owed. All share one hash tag.
-- ARGV, for each key: units paid back in a millisecond, units that a request costs, units that may be owed, 1 if enforced.
-- Returns, for each key: whether there was room, and the units owed now.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local owed, fits, through, unseen = {}, {}, true, true
for i = 1, #KEYS do
  local a = (i - 1) * 4
  local paid, cost, most = tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2]), tonumber(ARGV[a + 3])
  local held = redis.call('GET', KEYS[i])
  local debt = 0
  if held then
    local units, at = string.match(held, '^(%d+) (%d+)$')
    -- A clock that was set back pays nothing back, and counts from where it is.
    debt = math.max(0, tonumber(units) - math.max(0, now - tonumber(at)) * paid)
  end
  owed[i] = debt
  fits[i] = debt + cost <= most
  if not fits[i] then
    if ARGV[a + 4] == '1' then through = false else unseen = false end
  end
end
local said = {}
for i = 1, #KEYS do
  local a = (i - 1) * 4
  local spends = through and (ARGV[a + 4] == '1' or unseen)
  if fits[i] and spends then
    owed[i] = owed[i] + tonumber(ARGV[a + 2])
    local paid_in = math.ceil(owed[i] / tonumber(ARGV[a + 1]))
    redis.call('SET', KEYS[i], string.format('%.0f %.0f', owed[i], now), 'PX', string.format('%.0f', paid_in))
  end
  said[i * 2 - 1] = fits[i] and 1 or 0
  said[i * 2] = owed[i]
end
return said
