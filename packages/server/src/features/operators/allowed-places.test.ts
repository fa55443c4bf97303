import { describe, expect, test } from 'vitest'
import { allowedPlaces, isNetwork } from './allowed-places.ts'

const places = allowedPlaces({
  hosts: ['api.example.com', 'Inner.example.com:8443', '10.0.0.7:8080', '[::1]:3000'],
  networks: ['10.1.0.0/16', 'fd00:1::/32'],
})

describe('allowed places', () => {
  test.each([
    ['http://api.example.com/x', true],
    ['https://api.example.com:9000/', true],
    ['https://inner.example.com:8443/', true],
    ['https://inner.example.com/', false],
    ['http://10.0.0.7:8080/', true],
    ['http://[::1]:3000/', true],
    ['http://[::1]:3001/', false],
    ['http://api.example.com.evil.org/', false],
    ['http://evil.org/api.example.com', false],
    ['http://127.0.0.1/', false],
    ['http://2130706433/', false],
    ['http://api.example.com./', false],
  ])('[OPERATOR-21] %s: %s', (url, isAllowed) => {
    expect(places.isHost(new URL(url))).toBe(isAllowed)
  })

  test.each([
    ['93.184.216.34', true],
    ['2606:2800:220:1::1', true],
    ['127.0.0.1', false],
    ['0.0.0.0', false],
    ['10.0.0.7', false],
    ['10.1.255.1', true],
    ['172.16.0.1', false],
    ['172.32.0.1', true],
    ['192.168.1.1', false],
    ['169.254.169.254', false],
    ['100.64.0.1', false],
    ['224.0.0.1', false],
    ['255.255.255.255', false],
    ['::1', false],
    ['::', false],
    ['::ffff:127.0.0.1', false],
    ['::ffff:7f00:1', false],
    ['::ffff:10.1.2.3', true],
    ['::7f00:1', false],
    ['64:ff9b::7f00:1', false],
    ['2002:7f00:1::', false],
    ['fe80::1%eth0', false],
    ['fd00:1::5', true],
    ['fd00:2::5', false],
  ])('[OPERATOR-21] a name at %s: %s', (address, isAllowed) => {
    expect(places.isAddress(address, 'api.example.com')).toBe(isAllowed)
  })

  test('[OPERATOR-21] an address that stands on the list itself is allowed', () => {
    expect(places.isAddress('10.0.0.7', '10.0.0.7')).toBe(true)
    expect(['10.0.0.0/8', '::/0', '10.0.0.0/33', '10.0.0.0', 'x/8', '1.2.3/8'].map(isNetwork)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ])
  })
})
