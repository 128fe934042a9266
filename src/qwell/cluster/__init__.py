"""One service on many machines: fronts that know HTTP, engines that know the model, Ray between.

A front is the same application as on one machine; its worker is a `Fleet` of engines. Only
`application` and `router` import Ray.
"""
