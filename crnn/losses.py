class Loss: pass
class MSE(Loss): pass
class CrossEntropy(Loss): pass
class BinaryCrossEntropy(Loss): pass
def named(name, value, outputs=None):
    from crnn import _arguments
    _arguments.choice(name, value, ["mse"]) if not isinstance(value, Loss) else 0
    return MSE()
