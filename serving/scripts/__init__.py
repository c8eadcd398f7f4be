"""Users' scripts around the model: found in the archive, loaded and run in processes of their own.

    source        where the script is: in the archive, in another folder, in S3
    found         what the archive holds: the script, its libraries, its requirements
    requirements  installing those
    frames        what travels between the server and a worker
    worker        a worker's main loop (in the child)
    tfs           the contract of AWS's TensorFlow Serving container (in the child)
    hooks         that of its PyTorch, scikit-learn, XGBoost and generic ones: model_fn and so on (in the child)
    context       what those may ask about their request and say about their answer (in the child)
    defaults      what such a script may leave out (in the child)
    toolkit       the formats of those (in the child)
    dmatrix       bodies as XGBoost's matrices (in the child)
    shims         what they import of AWS's toolkits (in the child)
    process       one worker as the server sees it
    pool          all of them: who gets the next request, who is replaced, who is given up
    runner        an HTTP request's way through the pool

A script is ordinary code of the user's: it may block, leak, crash, or end its process. So it never runs in
the server's own, and each worker has one request at a time.
"""
