@description('The name of the network.')
param name string

@description('The location.')
param location string

@description('The address range.')
param addresses string

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  properties: {
    addressSpace: { addressPrefixes: [addresses] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addresses, 26, 0)
          // Required by Flex Consumption.
          delegations: [
            {
              name: 'app'
              properties: { serviceName: 'Microsoft.App/environments' }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addresses, 27, 2)
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }

  resource app 'subnets' existing = {
    name: 'app'
  }

  resource endpoints 'subnets' existing = {
    name: 'endpoints'
  }
}

@description('The resource id of the network.')
output id string = network.id

@description('The subnet for the app\'s outbound calls.')
output appSubnetId string = network::app.id

@description('The subnet of the private endpoints.')
output endpointSubnetId string = network::endpoints.id
